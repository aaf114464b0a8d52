//! Servers that offer tools themselves (Model Context Protocol). Without the feature `mcp` none can be reached, and the call says so
//! where it says that a server is away.

#[cfg(feature = "mcp")]
mod client;
#[cfg(feature = "mcp")]
mod server;
#[cfg(not(feature = "mcp"))]
#[path = "without.rs"]
mod server;

pub use server::McpServer;
