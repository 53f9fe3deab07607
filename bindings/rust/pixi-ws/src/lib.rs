//! One authenticated link between this program and a Pixi server, over WebSocket. It outlives its connections: it connects
//! again after a loss, with the API key, subscribes again where it stood, and sends again what was not answered.
//!
//! ```no_run
//! # fn main() -> Result<(), pixi_ws::Error> {
//! let client = pixi_ws::Client::new("tram-7", "ws://127.0.0.1:8768/api/v1", Some("pk_..."))?;
//! client.connect(None)?;
//! client.send_message("event/tram/7", r#"{"x": 12, "y": 40}"#)?;
//! # Ok(()) }
//! ```
//!
//! Receiving, and answering requests:
//!
//! ```no_run
//! # fn main() -> Result<(), pixi_ws::Error> {
//! let client = pixi_ws::Client::from_settings(None)?;
//! client.subscribe("event/#")?;
//! client.subscribe("request/route")?;
//! client.connect(None)?;
//! for message in &client {
//!     let message = message?;
//!     println!("{} {}", message.topic(), message.text().unwrap_or("(binary)"));
//!     if message.is_request() {
//!         client.reply(&message, r#"{"minutes": 4}"#)?;
//!     }
//! }
//! # Ok(()) }
//! ```
//!
//! Every call may be made from any thread, also while another one waits in [`Client::recv`]. The crate stands on libpixiws,
//! whose docs/library.md says what each call answers; settings are in docs/settings.md.
//!
//! Time-outs are `Option<Duration>`: `None` waits as long as the settings say, or for ever where they say nothing
//! ([`Client::recv`], [`Client::process`]); zero does not wait at all.

mod client;
mod error;
mod later;
mod message;

pub use client::{Client, Messages, SendOptions, State};
pub use error::{Close, Details, Error};
pub use message::{Message, Position};

/// The version of the library that runs.
///
/// ```
/// assert_eq!(pixi_ws::library_version(), "0.1.0");
/// ```
pub fn library_version() -> &'static str {
    // SAFETY: static text.
    unsafe { std::ffi::CStr::from_ptr(pixi_ws_sys::pixi_version()) }.to_str().unwrap_or("")
}
