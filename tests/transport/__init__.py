"""Links between replicas: framing and handshake without a network, then meshes on loopback under asyncio and uvloop."""
