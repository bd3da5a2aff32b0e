"""The tests: one folder for each room of the package, plus the house rules, the simulation and the integration."""
