//! The LZW encoder, byte for byte that of Go's `compress/lzw`: least significant bit first, literals of 8 bits.
//!
//! Every decoder of this LZW reads what every encoder writes, but they start over at different points once all
//! codes are taken. Writing the same bytes as Go keeps captures comparable.

/// The code that starts over.
const CLEAR: u32 = 256;
/// The code that ends the data.
const END: u32 = 257;
/// The highest code; once it is reached the encoder starts over.
const MAX_CODE: u32 = 4095;
const FIRST_WIDTH: u32 = 9;
/// Slots of the largest table: four for each string, so that probing stays short.
const MAX_SLOTS: usize = 4 * 4096;
/// Slots of the smallest table.
const MIN_SLOTS: usize = 256;

/// Compresses `plain`.
pub(crate) fn encode(plain: &[u8]) -> Vec<u8> {
    let mut encoder = Encoder {
        bits: Bits::default(),
        table: Table::new(plain.len()),
        width: FIRST_WIDTH,
        last_code: END,
    };
    encoder.bits.put(CLEAR, FIRST_WIDTH);
    if let Some((&first, rest)) = plain.split_first() {
        encoder.encode(first, rest);
    }
    encoder.bits.put(END, encoder.width);
    encoder.bits.finish()
}

struct Encoder {
    bits: Bits,
    table: Table,
    width: u32,
    last_code: u32,
}

impl Encoder {
    fn encode(&mut self, first: u8, rest: &[u8]) {
        let mut code = u32::from(first);
        for &byte in rest {
            match self.table.get(code, byte) {
                Some(longer) => code = longer,
                None => {
                    self.emit(code);
                    if self.assign() {
                        self.table.insert(code, byte, self.last_code);
                    }
                    code = u32::from(byte);
                }
            }
        }
        self.emit(code);
        self.assign();
    }

    fn emit(&mut self, code: u32) {
        self.bits.put(code, self.width);
    }

    /// Assigns the next code, or starts over and returns false if that was the last one.
    fn assign(&mut self) -> bool {
        self.last_code += 1;
        if self.last_code == 1 << self.width {
            self.width += 1;
        }
        if self.last_code < MAX_CODE {
            return true;
        }
        self.emit(CLEAR);
        self.width = FIRST_WIDTH;
        self.last_code = END;
        self.table.clear();
        false
    }
}

/// The codes of strings, each made of a shorter string's code and one more byte.
struct Table {
    /// Key in the upper 20 bits, code in the lower 12; 0 is free, as no string has code 0.
    slots: Vec<u32>,
    /// How far the hash of a string is shifted to number a slot.
    shift: u32,
}

impl Table {
    /// Creates a table for `input` bytes, which make no more strings than that.
    fn new(input: usize) -> Self {
        let slots = input.saturating_mul(4).clamp(MIN_SLOTS, MAX_SLOTS);
        let slots = slots.next_power_of_two();
        Self {
            slots: vec![0; slots],
            shift: u32::BITS - slots.trailing_zeros(),
        }
    }

    fn get(&self, prefix: u32, byte: u8) -> Option<u32> {
        let slot = self.slots[self.find(prefix, byte)];
        (slot != 0).then_some(slot & MAX_CODE)
    }

    fn insert(&mut self, prefix: u32, byte: u8, code: u32) {
        let place = self.find(prefix, byte);
        self.slots[place] = key(prefix, byte) << 12 | code;
    }

    fn clear(&mut self) {
        self.slots.fill(0);
    }

    /// Returns the slot of a string, or the free one where it belongs.
    fn find(&self, prefix: u32, byte: u8) -> usize {
        let key = key(prefix, byte);
        let mut place = (key.wrapping_mul(0x9E37_79B1) >> self.shift) as usize;
        while self.slots[place] != 0 && self.slots[place] >> 12 != key {
            place = (place + 1) % self.slots.len();
        }
        place
    }
}

fn key(prefix: u32, byte: u8) -> u32 {
    prefix << 8 | u32::from(byte)
}

/// Codes packed from the least significant bit up.
#[derive(Default)]
struct Bits {
    out: Vec<u8>,
    pending: u32,
    count: u32,
}

impl Bits {
    fn put(&mut self, code: u32, width: u32) {
        self.pending |= code << self.count;
        self.count += width;
        while self.count >= 8 {
            self.out.push(self.pending as u8);
            self.pending >>= 8;
            self.count -= 8;
        }
    }

    fn finish(mut self) -> Vec<u8> {
        if self.count > 0 {
            self.out.push(self.pending as u8);
        }
        self.out
    }
}
