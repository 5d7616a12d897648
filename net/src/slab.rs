//! Things under numbers that are never used again for another thing.

use alloc::vec::Vec;

/// The number of a thing in a [`Slab`]: its place, and how many things had that place before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Id {
    place: u32,
    generation: u32,
}

/// A table whose places are used again, but whose numbers are not: a number that has outlived its thing finds nothing.
pub(crate) struct Slab<T> {
    places: Vec<(u32, Option<T>)>,
    free: Vec<u32>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self { places: Vec::new(), free: Vec::new() }
    }
}

impl<T> Slab<T> {
    pub(crate) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    pub(crate) fn insert(&mut self, thing: T) -> Id {
        if let Some(place) = self.free.pop()
            && let Some((generation, slot)) = self.places.get_mut(place as usize)
        {
            *slot = Some(thing);
            return Id { place, generation: *generation };
        }
        self.places.push((0, Some(thing)));
        Id { place: self.places.len() as u32 - 1, generation: 0 }
    }

    pub(crate) fn get(&self, id: Id) -> Option<&T> {
        let (generation, slot) = self.places.get(id.place as usize)?;
        slot.as_ref().filter(|_| *generation == id.generation)
    }

    pub(crate) fn get_mut(&mut self, id: Id) -> Option<&mut T> {
        let (generation, slot) = self.places.get_mut(id.place as usize)?;
        slot.as_mut().filter(|_| *generation == id.generation)
    }

    /// Takes a thing out for a while; its number stays its own until [`Slab::put_back`].
    pub(crate) fn take(&mut self, id: Id) -> Option<T> {
        let (generation, slot) = self.places.get_mut(id.place as usize)?;
        if *generation == id.generation { slot.take() } else { None }
    }

    pub(crate) fn put_back(&mut self, id: Id, thing: T) {
        if let Some((_, slot)) = self.places.get_mut(id.place as usize) {
            *slot = Some(thing);
        }
    }

    pub(crate) fn remove(&mut self, id: Id) -> Option<T> {
        let (generation, slot) = self.places.get_mut(id.place as usize)?;
        if *generation != id.generation {
            return None;
        }
        let thing = slot.take()?;
        *generation = generation.wrapping_add(1);
        self.free.push(id.place);
        Some(thing)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Id, &T)> {
        self.places.iter().enumerate().filter_map(|(place, (generation, slot))| {
            slot.as_ref().map(|thing| (Id { place: place as u32, generation: *generation }, thing))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_never_another_things() {
        let mut slab = Slab::default();
        let first = slab.insert('a');
        assert_eq!(slab.remove(first), Some('a'));
        let second = slab.insert('b');
        assert_eq!((slab.get(first), slab.get(second), slab.len()), (None, Some(&'b'), 1));
        assert_eq!((slab.remove(first), slab.len()), (None, 1));
        assert_eq!(slab.iter().collect::<Vec<_>>(), [(second, &'b')]);
    }
}
