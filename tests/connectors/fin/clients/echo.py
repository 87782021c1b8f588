"""A fin written with ``soarca-fin`` (HTTP), unmodified: ``echo.py URL REGISTRATION_TOKEN TYPE``.

Runs on a Python of its own. It says on standard output what it was told, and leaves when a line comes in.
"""

import asyncio
import sys

from soarca_fin import CommandContext, Fin  # type: ignore[import-not-found]
from soarca_fin.registration import InMemoryRegistrationStore  # type: ignore[import-not-found]

url, token, capability = sys.argv[1:4]
fin = Fin(url, display_name="the echo", registration_store=InMemoryRegistrationStore())


@fin.command(capability, description="Gives back what it is told")  # type: ignore[untyped-decorator]
async def echo(context: CommandContext) -> dict[str, str]:
    print(f"told {context.command.command}", flush=True)
    await context.report_progress("half way")
    login = context.target.authentication if context.target else None
    return {"__out__": f"echo of {context.command.command}, logged on as {login.username if login else 'nobody'}"}


async def main() -> None:
    await fin.register_async(token)
    print("registered", flush=True)
    running = asyncio.create_task(fin.run_async())
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await fin.unregister_async()
    print("left", flush=True)


asyncio.run(main())
