"""What joins several workers on one MongoDB: fan-out, presence, limits and revocations by Redis. Nothing of it is kept for long."""
