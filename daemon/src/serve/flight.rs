//! How many requests are handled at once.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The places for requests in hand. Who finds none free is told so at once (503 with `Retry-After`), so that those in
/// hand get done.
#[derive(Debug, Clone)]
pub struct InFlight(Arc<Semaphore>);

/// A place. It is free again when the last clone is dropped, which may be later than the answer: work that goes on when
/// its client has gone keeps its place, so impatient clients cannot pile up more work than there are places.
#[derive(Debug, Clone)]
pub struct Place {
    _permit: Arc<OwnedSemaphorePermit>,
}

impl InFlight {
    /// So many places.
    #[must_use]
    pub fn new(places: usize) -> Self {
        Self(Arc::new(Semaphore::new(places)))
    }

    /// A place, if one is free.
    #[must_use]
    pub fn enter(&self) -> Option<Place> {
        let permit = Arc::clone(&self.0).try_acquire_owned().ok()?;
        Some(Place { _permit: Arc::new(permit) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_free_again_when_its_last_clone_is_gone() {
        let flight = InFlight::new(1);
        let place = flight.enter().unwrap();
        let held = place.clone();
        drop(place);
        assert!(flight.enter().is_none());
        drop(held);
        assert!(flight.enter().is_some());
    }
}
