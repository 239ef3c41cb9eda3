use super::{NONE, ROOT, Tree};

/// Most frames of a stack times the ten bytes of a number would be no limit, so
/// numbers are read one by one and names only as far as there are bytes.
const MAX_VARINT_BYTES: usize = 10;

impl Tree {
    /// Encodes the tree in the format of tree responses: nodes depth first,
    /// children by descending name, each as name length, name, self value and
    /// number of children, numbers as unsigned varints. The first node is the
    /// unnamed root.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.nodes.len() * 16);
        let mut pending = vec![ROOT];
        let mut children = Vec::new();
        while let Some(node) = pending.pop() {
            let name = self.name(node);
            put_varint(&mut bytes, name.len() as u64);
            bytes.extend_from_slice(name.as_bytes());
            // Values are never negative: `insert` and `decode` see to it.
            put_varint(&mut bytes, self.nodes[node as usize].self_value as u64);
            self.children_descending(node, &mut children);
            put_varint(&mut bytes, children.len() as u64);
            pending.extend(children.iter().rev());
        }
        bytes
    }

    /// Decodes what [`Tree::encode`] writes; no bytes are the empty tree.
    ///
    /// # Errors
    /// Bytes that are cut short, too long or broken, or more nodes than
    /// `max_nodes`.
    pub fn decode(bytes: &[u8], max_nodes: usize) -> Result<Self, TreeError> {
        let mut tree = Self::default();
        if bytes.is_empty() {
            return Ok(tree);
        }
        let mut reader = Reader { bytes, at: 0 };
        let (_, value, children) = reader.node()?;
        tree.add_self(ROOT, value);
        let mut open = vec![(ROOT, children)];
        let mut read = 0_usize;
        while let Some((parent, left)) = open.last_mut() {
            if *left == 0 {
                open.pop();
                continue;
            }
            *left -= 1;
            let parent = *parent;
            read += 1;
            if read > max_nodes || read >= NONE as usize {
                return Err(TreeError::TooManyNodes { limit: max_nodes });
            }
            let (name, value, children) = reader.node()?;
            let name = tree.name_id(name);
            let node = tree.child(parent, name);
            tree.add_self(node, value);
            if children > 0 {
                open.push((node, children));
            }
        }
        match reader.at == bytes.len() {
            true => Ok(tree),
            false => Err(TreeError::Trailing { at: reader.at }),
        }
    }
}

/// Why bytes are no tree.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TreeError {
    /// The bytes end within a node.
    #[error("tree is cut short at byte {at}")]
    Truncated {
        /// Offset of what is incomplete.
        at: usize,
    },
    /// A number does not fit.
    #[error("tree has a number out of range at byte {at}")]
    Number {
        /// Offset of the number.
        at: usize,
    },
    /// A name is not UTF-8.
    #[error("tree has a name that is not UTF-8 at byte {at}")]
    Name {
        /// Offset of the name.
        at: usize,
    },
    /// There are more nodes than allowed.
    #[error("tree has more than {limit} nodes")]
    TooManyNodes {
        /// The limit.
        limit: usize,
    },
    /// Bytes follow the last node.
    #[error("tree ends at byte {at} but bytes follow")]
    Trailing {
        /// Offset of the first byte that follows.
        at: usize,
    },
}

fn put_varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

struct Reader<'b> {
    bytes: &'b [u8],
    at: usize,
}

impl<'b> Reader<'b> {
    /// Reads name, self value and number of children.
    fn node(&mut self) -> Result<(&'b str, i64, u64), TreeError> {
        let at = self.at;
        let len = usize::try_from(self.varint()?).map_err(|_| TreeError::Number { at })?;
        let at = self.at;
        let rest = &self.bytes[at..];
        let name = rest.get(..len).ok_or(TreeError::Truncated { at })?;
        let name = std::str::from_utf8(name).map_err(|_| TreeError::Name { at })?;
        self.at += len;
        let at = self.at;
        let value = i64::try_from(self.varint()?).map_err(|_| TreeError::Number { at })?;
        Ok((name, value, self.varint()?))
    }

    fn varint(&mut self) -> Result<u64, TreeError> {
        let at = self.at;
        let mut value = 0_u64;
        for i in 0..MAX_VARINT_BYTES {
            let byte = *self.bytes.get(at + i).ok_or(TreeError::Truncated { at })?;
            let bits = u64::from(byte & 0x7f);
            if bits << (7 * i) >> (7 * i) != bits {
                return Err(TreeError::Number { at });
            }
            value |= bits << (7 * i);
            if byte < 0x80 {
                self.at = at + i + 1;
                return Ok(value);
            }
        }
        Err(TreeError::Number { at })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn observed() -> (Tree, Vec<u8>) {
        let mut tree = Tree::default();
        tree.insert(["main", "foo", "deep"], 6);
        tree.insert(["main", "foo", "bar"], 5);
        tree.insert(["main", "foo"], 1);
        tree.insert(["main", "deep"], 9);
        let bytes = [
            &[0, 0, 1, 4][..],
            b"main",
            &[0, 2, 3],
            b"foo",
            &[1, 2, 4],
            b"deep",
            &[6, 0, 3],
            b"bar",
            &[5, 0, 4],
            b"deep",
            &[9, 0],
        ];
        (tree, bytes.concat())
    }

    // The bytes were observed in the answer of Grafana Pyroscope to this tree.
    #[test]
    fn bytes_are_those_of_the_original() {
        let (tree, bytes) = observed();
        assert_eq!(tree.encode(), bytes);
        let back = Tree::decode(&bytes, 5).unwrap();
        assert_eq!(back.encode(), bytes);
        assert_eq!(back.total(), 21);
    }

    #[test]
    fn the_empty_tree_has_a_root_only() {
        assert_eq!(Tree::default().encode(), [0, 0, 0]);
        assert!(Tree::decode(&[], 0).unwrap().is_empty());
        assert!(Tree::decode(&[0, 0, 0], 0).unwrap().is_empty());
    }

    #[test]
    fn broken_bytes_are_typed_errors() {
        let (_, bytes) = observed();
        for end in 1..bytes.len() {
            let error = Tree::decode(&bytes[..end], 100).unwrap_err();
            assert!(matches!(error, TreeError::Truncated { .. }), "{error}");
        }
        let decode = |bytes: &[u8]| Tree::decode(bytes, 100).unwrap_err();
        let long = [bytes.clone(), vec![0]].concat();
        assert_eq!(decode(&long), TreeError::Trailing { at: bytes.len() });
        assert_eq!(decode(&[1, 0xff, 0, 0]), TreeError::Name { at: 1 });
        let too_large = [[0].as_slice(), &[0xff; 9], &[0x01, 0]].concat();
        assert_eq!(decode(&too_large), TreeError::Number { at: 1 });
        assert_eq!(decode(&[0xff; 11]), TreeError::Number { at: 0 });
        let many = Tree::decode(&bytes, 4).unwrap_err();
        assert_eq!(many, TreeError::TooManyNodes { limit: 4 });
    }

    #[test]
    fn children_that_do_not_come_allocate_nothing() {
        let promise = [&[0, 0][..], &[0xff; 8], &[0x7f]].concat();
        let error = Tree::decode(&promise, usize::MAX).unwrap_err();
        assert!(matches!(error, TreeError::Truncated { .. }), "{error}");
    }
}
