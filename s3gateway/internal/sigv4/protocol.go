package sigv4

import "time"

// What Signature Version 4 fixes.
const (
	algorithm   = "AWS4-HMAC-SHA256"
	service     = "s3"
	terminal    = "aws4_request"
	dayFormat   = "20060102"
	stampFormat = "20060102T150405Z"
	maxPresign  = 7 * 24 * time.Hour
)

// Values of x-amz-content-sha256 that are no hash.
const (
	unsignedPayload   = "UNSIGNED-PAYLOAD"
	unsignedTrailer   = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
	signedChunks      = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
	signedTrailer     = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
	asymmetricChunks  = "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD"
	asymmetricTrailer = "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER"
)
