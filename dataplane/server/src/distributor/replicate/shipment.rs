//! What a push sends to one ingester.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use prost::Message as _;
use proto::push::v1::{PushRequest, RawProfileSeries, RawSample};
use store::IncomingProfile;
use uuid::Uuid;

use crate::distributor::prepare::Prepared;

/// What the smallest shipment counts for, in bytes.
const MIN_BYTES: u64 = 16 << 10;

/// Some of the profiles of a push; encoded at most once, for however many
/// ingesters get the same.
#[derive(Debug)]
pub(super) struct Shipment {
    profiles: Arc<Vec<Prepared>>,
    items: Vec<usize>,
    bytes: u64,
    message: OnceLock<Bytes>,
}

impl Shipment {
    /// Creates the shipment of these `items` of `profiles`.
    pub(super) fn new(profiles: Arc<Vec<Prepared>>, items: Vec<usize>) -> Self {
        let bytes = items.iter().map(|&item| {
            let Prepared { raw, digest, .. } = &profiles[item];
            raw.len() + digest.as_ref().map_or(0, |digest| digest.size())
        });
        let bytes: usize = bytes.sum();
        Self {
            bytes: MIN_BYTES.max(bytes as u64),
            message: OnceLock::new(),
            profiles,
            items,
        }
    }

    /// Returns which profiles of the push it has.
    pub(super) fn items(&self) -> &[usize] {
        &self.items
    }

    /// Returns a profile of the push.
    pub(super) fn profile(&self, item: usize) -> &Prepared {
        &self.profiles[item]
    }

    /// Replaces positions in its message by the items there.
    pub(super) fn items_at<T>(&self, positions: Vec<(usize, T)>) -> Vec<(usize, T)> {
        let item = |(position, what)| Some((*self.items.get(position)?, what));
        positions.into_iter().filter_map(item).collect()
    }

    /// Returns a shipment of some of the profiles of this one.
    pub(super) fn only(&self, items: Vec<usize>) -> Self {
        Self::new(Arc::clone(&self.profiles), items)
    }

    /// Returns what it counts for while it is under way, in bytes.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Returns the profiles as an ingester of this process takes them.
    pub(super) fn incoming(&self) -> Vec<IncomingProfile> {
        let incoming = self.items.iter().map(|&item| {
            let profile = &self.profiles[item];
            IncomingProfile {
                labels: profile.labels.clone(),
                id: profile.id,
                raw: profile.raw.clone(),
                view: profile.view.clone(),
                digest: profile.digest.clone(),
            }
        });
        incoming.collect()
    }

    /// Returns the encoded `push.v1.PushRequest`.
    pub(super) fn message(&self) -> Bytes {
        self.message.get_or_init(|| self.encode()).clone()
    }

    fn encode(&self) -> Bytes {
        let series = self.items.iter().map(|&item| {
            let profile = &self.profiles[item];
            let digest = profile.digest.as_ref().map(|digest| digest.encode());
            RawProfileSeries {
                labels: profile.labels.to_proto(),
                samples: vec![RawSample {
                    raw_profile: profile.raw.clone(),
                    id: Uuid::from_bytes(profile.id).to_string(),
                    digest: digest.unwrap_or_default().into(),
                }],
                annotations: Vec::new(),
            }
        });
        let request = PushRequest {
            series: series.collect(),
        };
        request.encode_to_vec().into()
    }
}
