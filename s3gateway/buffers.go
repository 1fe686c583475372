package s3gateway

import "sync"

// bufferSize is what is held of a body at a time.
const bufferSize = 256 << 10

var buffers = sync.Pool{New: func() any {
	b := make([]byte, bufferSize)
	return &b
}}
