"""What we use of kazoo, a library without types."""
