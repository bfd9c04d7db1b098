"""The rules of Chat-Sec in plain Python: no framework, no driver, no event loop. Whoever needs one is handed a port."""
