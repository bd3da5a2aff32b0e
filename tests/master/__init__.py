"""The master (DESIGN §5), unit by unit and in scenarios."""
