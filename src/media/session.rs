//! One media session: RTP, RTCP, SRTP, codec, jitter buffer.
