//! Encryption, and what comes out of it.

use memberlist::{
    Address, Config, EncryptionVersion, Keyring, Machine, NONCE, Nonces, Timestamp, WireError,
};

use crate::seeds;

/// The key of the captures; another one is tried before it.
const KEY: [u8; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
const LABEL: &str = "lab1";

fn keyring() -> Keyring {
    Keyring::new([&KEY[..], &[9; 32]]).expect("the keys have valid lengths")
}

fn machine() -> Machine {
    let mut config = Config::lan("me", Address::v4([127, 0, 0, 1], 7946));
    config.label = LABEL.to_owned();
    config.keyring = Some(keyring());
    let nonces = Nonces::from_secret([3; 32]);
    Machine::encrypted(config, 1, nonces, Timestamp::ZERO).expect("the settings are valid")
}

/// The input as ciphertext, which nobody guesses, and as what was encrypted.
pub(crate) fn check(data: &[u8]) {
    let keyring = keyring();
    let _ = keyring.open(data, LABEL.as_bytes());
    let mut machine = machine();
    let _ = machine.handle_packet(Timestamp::ZERO, "127.0.0.1:1", data);
    let _ = machine.request_reader().feed(data);
    let _ = machine.response_reader().feed(data);

    for version in [EncryptionVersion::Padded, EncryptionVersion::Unpadded] {
        let seal = |authenticated: &[u8]| {
            let sealed = keyring.seal(version, [7; NONCE], data, authenticated);
            sealed.expect("there is a key")
        };
        let mut packet = labelled();
        let sealed = seal(LABEL.as_bytes());
        assert_eq!(keyring.open(&sealed, LABEL.as_bytes()).as_deref(), Ok(data));
        assert_eq!(keyring.open(&sealed, b"other"), Err(WireError::UnknownKey));
        packet.extend(&sealed);
        let _ = machine.handle_packet(Timestamp::ZERO, "127.0.0.1:1", &packet);
        // One byte is not what was sealed: nothing inside is looked at.
        let end = packet.len() - 1;
        packet[end] ^= 1;
        let refused = machine.handle_packet(Timestamp::ZERO, "127.0.0.1:1", &packet);
        assert_eq!(refused, Err(WireError::UnknownKey));

        let mut header = vec![0x0A];
        header.extend((sealed.len() as u32).to_be_bytes());
        let inner = seal(&[&header, LABEL.as_bytes()].concat());
        let stream = [labelled(), header, inner].concat();
        let _ = machine.request_reader().feed(&stream);
    }
}

fn labelled() -> Vec<u8> {
    [&[0xF4, LABEL.len() as u8], LABEL.as_bytes()].concat()
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let streams = seeds::streams().into_iter();
    seeds::packets().into_iter().chain(streams).collect()
}
