"""tasks.py FILTER TOPIC PAYLOAD -- in asyncio: send a message while another task prints what comes."""
import asyncio
import sys

from pixi_ws import aio


async def listen(client: aio.Client) -> None:
    async for message in client:
        print(message.topic, message.text, flush=True)


async def main() -> None:
    async with aio.Client() as client:
        await client.subscribe(sys.argv[1])
        listening = asyncio.create_task(listen(client))
        await client.send_message(sys.argv[2], sys.argv[3])
        await listening


asyncio.run(main())
