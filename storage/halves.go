package storage

import "fmt"

// ReadOnly returns the reading half of a storage. What it returns can't be turned into a
// [Writer] by its holder, by no type assertion and no Unwrap; [Copy] still reads from it
// as it does from the storage itself.
func ReadOnly(s Reader) Reader {
	if r, ok := s.(readOnly); ok {
		return r
	}
	return readOnly{s}
}

type half = Reader // keeps the field below to this package

// readOnly has Reader's methods and no other exported one.
type readOnly struct{ half }

// connOf finds what a half of a storage is made of. The half may be wrapped: by ReadOnly, or by
// a type with an Unwrap method that returns what it wraps.
func connOf(s any) (*conn, error) {
	for {
		switch v := s.(type) {
		case reader:
			return v.conn, nil
		case writer:
			return v.conn, nil
		case *Client:
			return v.conn, nil
		case readOnly:
			s = v.half
		case interface{ Unwrap() Storage }:
			s = v.Unwrap()
		case interface{ Unwrap() Reader }:
			s = v.Unwrap()
		case interface{ Unwrap() Writer }:
			s = v.Unwrap()
		default:
			return nil, fmt.Errorf("copying: %T is no storage client", s)
		}
	}
}
