package pace

import "sync"

// BufferSize is what is held of a body at a time.
const BufferSize = 256 << 10

// Buffers are of BufferSize, for what passes.
var Buffers = sync.Pool{New: func() any {
	b := make([]byte, BufferSize)
	return &b
}}
