//! A server on loopback that limits and answers like Alibaba Model Studio.
