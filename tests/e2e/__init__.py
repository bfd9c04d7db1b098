"""The whole way: a real server process, and the page in a real browser."""
