"""Carries connections from a port of this network to an address outside of it: ``relay.py PORT=HOST:PORT ...``.

A worker in a network namespace finds the servers at the loopback addresses that everything else knows them by.
"""

from __future__ import annotations

import asyncio
import sys


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while piece := await reader.read(65_536):
            writer.write(piece)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


async def _serve(port: int, host: str, target: int) -> None:
    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, back = await asyncio.open_connection(host, target)
        except OSError:
            writer.transport.abort()
            return
        await asyncio.gather(_pipe(reader, back), _pipe(there, writer))

    server = await asyncio.start_server(carry, "127.0.0.1", port)
    await server.serve_forever()


async def _main(words: list[str]) -> None:
    routes = [word.split("=") for word in words]
    targets = [(int(port), address.rpartition(":")) for port, address in routes]
    await asyncio.gather(*(_serve(port, host, int(target)) for port, (host, _, target) in targets))


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1:]))
