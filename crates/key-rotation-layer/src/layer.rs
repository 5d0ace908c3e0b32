use std::fmt;
use std::sync::Arc;

use throttle_signal::{Envelope, Headroom, Reader};
use tower_layer::Layer;

use crate::sticky::Sticky;
use crate::{Conversation, KeyPool, KeyRotation};

/// Layer that applies [`KeyRotation`].
///
/// The pool lives in the layer: services made by it, and by its clones, share what was learned.
///
/// See the [crate docs](crate) for an example.
#[derive(Clone)]
#[must_use = "layers do nothing unless applied"]
pub struct KeyRotationLayer {
    // Behind one pointer: services are cloned and futures made for every request.
    settings: Arc<Settings>,
}

#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) pool: KeyPool,
    pub(crate) headroom: Option<Arc<dyn Headroom>>,
    pub(crate) envelope: Envelope,
    pub(crate) reader: Reader,
    pub(crate) sticky: Sticky,
}

impl KeyRotationLayer {
    /// Creates a layer that sends with the keys of `pool`.
    pub fn new(pool: KeyPool) -> Self {
        let settings = Arc::new(Settings {
            pool,
            headroom: None,
            envelope: Envelope::new(),
            reader: Reader::new(),
            sticky: Sticky::default(),
        });
        Self { settings }
    }

    /// Sets whom to ask when an account has room: the limiter below this layer.
    pub fn headroom(mut self, headroom: impl Headroom + 'static) -> Self {
        Arc::make_mut(&mut self.settings).headroom = Some(Arc::new(headroom));
        self
    }

    /// Sets how refusals are read, where no layer below has read them: see [`Reader`].
    pub fn reader(mut self, reader: Reader) -> Self {
        Arc::make_mut(&mut self.settings).reader = reader;
        self
    }

    /// Sets how a refusal by the pool itself is put.
    pub fn envelope(mut self, envelope: Envelope) -> Self {
        Arc::make_mut(&mut self.settings).envelope = envelope;
        self
    }

    /// Sets what tells which requests belong to one conversation, for
    /// [`Strategy::sticky`](crate::Strategy::sticky). [`Conversation::user`] if not set.
    pub fn sticky_by(mut self, conversation: Conversation) -> Self {
        Arc::make_mut(&mut self.settings).sticky = Sticky::new(conversation);
        self
    }
}

impl<S> Layer<S> for KeyRotationLayer {
    type Service = KeyRotation<S>;

    fn layer(&self, inner: S) -> Self::Service {
        KeyRotation::new(inner, Arc::clone(&self.settings))
    }
}

impl fmt::Debug for KeyRotationLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyRotationLayer")
            .field("pool", &self.settings.pool)
            .field("headroom", &self.settings.headroom)
            .finish_non_exhaustive()
    }
}
