"""The mount: its pure parts against models, its shells against fakes, and the whole with a kernel."""
