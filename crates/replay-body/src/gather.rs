use bytes::{Bytes, BytesMut};

/// Bytes that arrive frame by frame, kept in one piece.
///
/// A single frame is kept as it is, shared rather than copied: that is how most bodies of an API
/// arrive. The second frame makes it a copy.
#[derive(Debug, Default)]
pub(crate) struct Gather {
    first: Bytes,
    // Everything, once there is more than one frame; empty until then.
    joined: BytesMut,
}

impl Gather {
    /// Adds what follows. `expected` bytes in all, if that is known, save growing in steps.
    pub(crate) fn push(&mut self, frame: Bytes, expected: usize) {
        if self.as_slice().is_empty() {
            self.first = frame;
        } else if self.joined.is_empty() {
            let len = self.first.len() + frame.len();
            self.joined.reserve(len.max(expected));
            self.joined.extend_from_slice(&self.first);
            self.joined.extend_from_slice(&frame);
            self.first = Bytes::new();
        } else {
            self.joined.extend_from_slice(&frame);
        }
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        if self.joined.is_empty() {
            &self.first
        } else {
            &self.joined
        }
    }

    pub(crate) fn into_bytes(self) -> Bytes {
        if self.joined.is_empty() {
            self.first
        } else {
            self.joined.freeze()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_frame_is_not_copied() {
        let frame = Bytes::from(vec![1, 2, 3]);
        let mut gather = Gather::default();
        gather.push(Bytes::new(), 0);
        gather.push(frame.clone(), 0);
        assert_eq!(gather.into_bytes().as_ptr(), frame.as_ptr());
    }

    #[test]
    fn frames_are_joined_in_order() {
        let mut gather = Gather::default();
        for frame in ["a", "", "bc", "d"] {
            gather.push(Bytes::from(frame), 4);
        }
        assert_eq!(gather.as_slice(), b"abcd");
        assert_eq!(gather.into_bytes(), "abcd");
    }
}
