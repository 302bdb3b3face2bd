//! Decisions from bytes. What is missing reads as 0.

pub struct Bytes<'a>(pub &'a [u8]);

impl<'a> Bytes<'a> {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn u8(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    pub fn u16(&mut self) -> u16 {
        u16::from_be_bytes([self.u8(), self.u8()])
    }

    /// One of these.
    pub fn of<T: Copy>(&mut self, choices: &[T]) -> Option<T> {
        let at = usize::from(self.u8());
        if choices.is_empty() { None } else { Some(choices[at % choices.len()]) }
    }

    /// A length of two bytes and as many bytes, or all that is left.
    pub fn block(&mut self) -> &'a [u8] {
        let len = usize::from(self.u16()).min(self.0.len());
        let (block, rest) = self.0.split_at(len);
        self.0 = rest;
        block
    }
}
