"""A tool server by the protocol's own SDK: python mcp_server.py PORT

Offers `stock` (a string and a number in, words out), `broken` (always fails) and `secret` (not to be offered).
Prints `ready` before it serves.
"""

import sys

from mcp.server import MCPServer

server = MCPServer("warehouse")


@server.tool()
def stock(article: str, count: int) -> str:
    """Whether an article is in stock."""
    return f"{count} of {article} are in stock"


@server.tool()
def broken() -> str:
    """Never works."""
    raise RuntimeError("the shelf is gone")


@server.tool()
def secret() -> str:
    """Nothing for a model."""
    return "hidden"


if __name__ == "__main__":
    print("ready", flush=True)
    server.run("streamable-http", host="127.0.0.1", port=int(sys.argv[1]))
