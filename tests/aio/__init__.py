"""The asyncio face of the package."""
