"""The doors: one small module for each protocol, which translates and decides nothing."""
