//! Generational storage: an id that outlived its value is an error, never another value.

use alloc::vec::Vec;
use core::marker::PhantomData;

/// A typed, generational id. `T` only names what it identifies.
pub struct Id<T> {
    index: u32,
    generation: u32,
    of: PhantomData<fn() -> T>,
}

impl<T> Id<T> {
    /// The id as one integer, for C and for logs: generation in the upper half, never 0.
    pub const fn to_raw(self) -> u64 {
        ((self.generation as u64) << 32) | self.index as u64
    }

    /// The id that `to_raw` gave. Any other integer gives an id that is simply unknown.
    pub const fn from_raw(raw: u64) -> Self {
        Self { index: raw as u32, generation: (raw >> 32) as u32, of: PhantomData }
    }
}

impl<T> Clone for Id<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Id<T> {}
impl<T> PartialEq for Id<T> {
    fn eq(&self, other: &Self) -> bool {
        self.to_raw() == other.to_raw()
    }
}
impl<T> Eq for Id<T> {}
impl<T> PartialOrd for Id<T> {
    fn partial_cmp(&self, other: &Self) -> Option<core::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<T> Ord for Id<T> {
    fn cmp(&self, other: &Self) -> core::cmp::Ordering {
        self.to_raw().cmp(&other.to_raw())
    }
}
impl<T> core::hash::Hash for Id<T> {
    fn hash<H: core::hash::Hasher>(&self, state: &mut H) {
        self.to_raw().hash(state);
    }
}
impl<T> core::fmt::Debug for Id<T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "#{}.{}", self.index, self.generation)
    }
}
impl<T> core::fmt::Display for Id<T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        core::fmt::Debug::fmt(self, f)
    }
}

#[derive(Debug)]
struct Slot<V> {
    generation: u32,
    value: Option<V>,
}

/// Values by generational id. `T` is the tag of the ids (often `V` itself).
#[derive(Debug)]
pub struct Arena<T, V> {
    slots: Vec<Slot<V>>,
    free: Vec<u32>,
    /// Where generations of new slots begin: no slot that was given back had a higher one.
    first: u32,
    of: PhantomData<fn() -> T>,
}

/// So many slots are kept as long as one is in use.
const MIN_SLOTS: usize = 32;

impl<T, V> Default for Arena<T, V> {
    fn default() -> Self {
        Self { slots: Vec::new(), free: Vec::new(), first: 1, of: PhantomData }
    }
}

impl<T, V> Arena<T, V> {
    /// Stores a value and returns its id.
    pub fn insert(&mut self, value: V) -> Id<T> {
        if let Some(index) = self.free.pop()
            && let Some(slot) = self.slots.get_mut(index as usize)
        {
            slot.value = Some(value);
            return Id { index, generation: slot.generation, of: PhantomData };
        }
        let index = u32::try_from(self.slots.len()).unwrap_or(u32::MAX);
        self.slots.push(Slot { generation: self.first, value: Some(value) });
        Id { index, generation: self.first, of: PhantomData }
    }

    /// Stores a value that knows its own id.
    pub fn insert_with(&mut self, make: impl FnOnce(Id<T>) -> V) -> Id<T> {
        let id = self.next_id();
        self.insert(make(id))
    }

    /// Stores a value that knows its own id, if it can be made.
    pub fn try_insert_with(&mut self, make: impl FnOnce(Id<T>) -> Option<V>) -> Option<Id<T>> {
        let id = self.next_id();
        make(id).map(|value| self.insert(value))
    }

    /// The id that the next insertion gives.
    fn next_id(&self) -> Id<T> {
        let free = self.free.last().and_then(|i| Some((*i, self.slots.get(*i as usize)?)));
        match free {
            Some((index, slot)) => Id { index, generation: slot.generation, of: PhantomData },
            None => {
                let index = u32::try_from(self.slots.len()).unwrap_or(u32::MAX);
                Id { index, generation: self.first, of: PhantomData }
            }
        }
    }

    /// The value, unless the id is stale.
    pub fn get(&self, id: Id<T>) -> Option<&V> {
        let slot = self.slots.get(id.index as usize)?;
        if slot.generation == id.generation { slot.value.as_ref() } else { None }
    }

    /// The value, unless the id is stale.
    pub fn get_mut(&mut self, id: Id<T>) -> Option<&mut V> {
        let slot = self.slots.get_mut(id.index as usize)?;
        if slot.generation == id.generation { slot.value.as_mut() } else { None }
    }

    /// Takes the value out; its id is stale from now on.
    pub fn remove(&mut self, id: Id<T>) -> Option<V> {
        let slot = self.slots.get_mut(id.index as usize)?;
        if slot.generation != id.generation {
            return None;
        }
        let value = slot.value.take()?;
        // Never 0, so that the raw form 0 stays free for "none"; a slot is retired, not reused,
        // in the (unreachable in practice) case that its generations are exhausted.
        if slot.generation < u32::MAX {
            slot.generation += 1;
            self.free.push(id.index);
        }
        self.shrink();
        Some(value)
    }

    /// Gives back what a flood needed: the upper half once it is empty, all when all is empty.
    fn shrink(&mut self) {
        let half = if self.is_empty() { 0 } else { self.slots.len() / 2 };
        if self.slots.is_empty()
            || (half < MIN_SLOTS || !self.len().is_power_of_two()) && !self.is_empty()
        {
            return;
        }
        let upper = self.slots.get(half..).unwrap_or_default();
        if !upper.iter().rev().all(|slot| slot.value.is_none() && slot.generation < u32::MAX) {
            return;
        }
        let highest = upper.iter().map(|slot| slot.generation).max();
        self.first = self.first.max(highest.unwrap_or(0));
        self.slots.truncate(half);
        self.slots.shrink_to(half);
        self.free.retain(|index| (*index as usize) < half);
        self.free.shrink_to(half);
        self.shrink();
    }

    /// All live values with their ids, in slot order (deterministic).
    pub fn iter(&self) -> impl Iterator<Item = (Id<T>, &V)> {
        self.slots.iter().enumerate().filter_map(|(i, s)| {
            let id = Id { index: i as u32, generation: s.generation, of: PhantomData };
            s.value.as_ref().map(|v| (id, v))
        })
    }

    /// All live values with their ids, in slot order (deterministic).
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (Id<T>, &mut V)> {
        self.slots.iter_mut().enumerate().filter_map(|(i, s)| {
            let id = Id { index: i as u32, generation: s.generation, of: PhantomData };
            s.value.as_mut().map(|v| (id, v))
        })
    }

    /// The live ids, in slot order.
    pub fn ids(&self) -> Vec<Id<T>> {
        self.iter().map(|(id, _)| id).collect()
    }

    /// How many values live here.
    pub fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// True if no value lives here.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_flood_needed_is_given_back_and_stale_ids_stay_stale() {
        let mut arena: Arena<(), usize> = Arena::default();
        let keep = arena.insert(7);
        let flood: Vec<_> = (0..4096).map(|n| arena.insert(n)).collect();
        for id in &flood {
            assert!(arena.remove(*id).is_some());
        }
        assert!(arena.slots.capacity() < 128 && arena.free.capacity() < 128);
        let second: Vec<_> = (0..4096).map(|n| arena.insert(n)).collect();
        assert!(flood.iter().all(|id| arena.get(*id).is_none() && !second.contains(id)));
        assert_eq!((arena.get(keep), arena.len()), (Some(&7), 4097));
    }

    #[test]
    fn a_stale_id_never_reaches_the_next_tenant() {
        let mut arena: Arena<(), &str> = Arena::default();
        let first = arena.insert("first");
        assert_eq!(arena.remove(first), Some("first"));
        let second = arena.insert("second");
        assert_eq!(arena.get(first), None);
        assert_eq!(arena.remove(first), None);
        assert_eq!(arena.get(second), Some(&"second"));
        assert_eq!(Id::<()>::from_raw(second.to_raw()), second);
        assert_eq!(arena.len(), 1);
    }
}
