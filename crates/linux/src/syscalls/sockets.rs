//! socket, connect, accept, send, receive.
