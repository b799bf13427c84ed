//! Drives the product from outside, on a real API server and real databases.
