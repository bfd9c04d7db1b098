"""Rules of the house that a machine judges well: directions, doors, tables that must agree, text that must not be there."""
