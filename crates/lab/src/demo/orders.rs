//! The order system of the demo's shop: a web server on loopback that its agent asks.

use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::json;
use std::net::{IpAddr, SocketAddr};
use tokio::net::TcpListener;

/// Starts it on a free port; it runs until the process ends.
pub(super) async fn start(address: IpAddr) -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind((address, 0)).await?;
    let here = listener.local_addr()?;
    tokio::spawn(async move { axum::serve(listener, Router::new().route("/orders/{number}", get(order))).await });
    Ok(here)
}

async fn order(Path(number): Path<String>) -> Response {
    match status(&number) {
        Some(status) => Json(json!({"number": number, "status": status})).into_response(),
        None => (StatusCode::NOT_FOUND, Json(json!({"error": "there is no such order"}))).into_response(),
    }
}

/// Even numbers have left, odd ones are being packed. There are none that begin with 0.
fn status(number: &str) -> Option<&'static str> {
    let digit = number.chars().last().and_then(|last| last.to_digit(10)).filter(|_| !number.starts_with('0'))?;
    Some(if digit % 2 == 0 { "shipped" } else { "packing" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_have_a_status_by_their_number() {
        assert_eq!((status("123456"), status("123457")), (Some("shipped"), Some("packing")));
        assert_eq!((status("012345"), status(""), status("12345x")), (None, None, None));
    }
}
