"""Measurements that can be repeated: one command and one result file for each question (README.md)."""
