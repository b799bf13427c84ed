//! Any text is refused, or reads back as the same statement after it was written again.

#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| ledger::testing::check_ledger_text(text));
