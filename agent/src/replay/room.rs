//! How much is in hand: entries that were fetched and are not applied yet take room, and a look begins when there is room
//! for the most that it may bring. So what is in hand is bounded, whatever the size of entries.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// All the room.
const ROOM: u32 = 64 << 20;
/// The longest statement that ctldb stores: a MEDIUMTEXT.
const LONGEST: u32 = 16 << 20;

/// The room of a process. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Room(Arc<Semaphore>);

/// Taken until it is dropped.
#[derive(Debug)]
pub(crate) struct Taken(OwnedSemaphorePermit);

impl Room {
    pub(crate) fn new() -> Self {
        let bytes = usize::try_from(ROOM).expect("BUG: 64 MiB fit in memory");
        Self(Arc::new(Semaphore::new(bytes)))
    }

    /// Waits for room for a look of so many bytes. The entry that the LDB has already comes on top, and the last one may
    /// begin just below the limit.
    pub(crate) async fn for_look(&self, bytes: usize) -> Taken {
        let bytes = u32::try_from(bytes).unwrap_or(ROOM).saturating_add(2 * LONGEST);
        self.take(bytes.min(ROOM)).await
    }

    /// What a look brought takes the place of what it might have brought.
    pub(crate) async fn filled(&self, taken: Taken, bytes: usize) -> Taken {
        let bytes = u32::try_from(bytes).unwrap_or(ROOM).min(ROOM);
        let Taken(mut permit) = taken;
        let held = permit.num_permits();
        let wanted = usize::try_from(bytes).unwrap_or(held);
        if wanted <= held {
            drop(permit.split(held - wanted));
            return Taken(permit);
        }
        // Longer than any that ctldb stores; all of the room is the most that can be taken.
        drop(permit);
        self.take(bytes).await
    }

    async fn take(&self, bytes: u32) -> Taken {
        let permit = Arc::clone(&self.0).acquire_many_owned(bytes).await;
        Taken(permit.expect("BUG: nobody closes it"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_look_waits_until_there_is_room_for_the_most_that_it_may_bring() {
        let room = Room::new();
        let free = || room.0.available_permits();
        let all = free();
        let first = room.for_look(4 << 20).await;
        assert_eq!(all - free(), 36 << 20);
        let first = room.filled(first, (15 << 20) + 10).await;
        assert_eq!(all - free(), (15 << 20) + 10);
        let second = room.for_look(4 << 20).await;
        let second = room.filled(second, 15 << 20).await;
        let mut third = Box::pin(room.for_look(4 << 20));
        assert!(futures::poll!(&mut third).is_pending(), "{} are free", free());
        drop(first);
        let third = third.await;
        drop((second, third));
        // A look with more than all of the room holds all of it, and is not waited for in vain.
        let large = room.for_look(4 << 20).await;
        let large = room.filled(large, 80 << 20).await;
        assert_eq!(free(), 0);
        drop(large);
        assert_eq!(free(), all);
    }
}
