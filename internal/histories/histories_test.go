package histories

import (
	"errors"
	"fmt"
	"syscall"
	"testing"

	"github.com/anishathalye/porcupine"
	"github.com/minio/minio-go/v7"
)

// What no order explains is found, be it seen by a read or by a list; what one explains is not.
func TestJudge(t *testing.T) {
	write := func(j *Journal, value string, err error) {
		j.declare(value)
		j.wrote(put, 1, access{key: "k", write: true, value: value}, j.now(), err)
	}
	// only writes where the value is another one.
	only := func(j *Journal, was, value string, err error) {
		j.declare(value)
		j.wrote(replace, 1, access{key: "k", write: true, value: value, only: true, was: was}, j.now(), err)
	}
	unmet, noKey := minio.ErrorResponse{Code: minio.PreconditionFailed}, minio.ErrorResponse{Code: minio.NoSuchKey}
	read := func(j *Journal, value string) { j.saw(get, 2, j.now(), map[string]string{"k": value}) }
	listed := func(j *Journal, etag string) { j.saw(list, 2, j.now(), map[string]string{"k": j.valueOf(etag)}) }
	const etagOfA, etagOfPartsA = "0cc175b9c0f1b6a831c399e269772661", `"b20fd1a9cdd1ec97c9dbed1a5b5e2b1c-1"`
	lost := errors.New("the connection broke")
	for name, c := range map[string]struct {
		want porcupine.CheckResult
		do   func(j *Journal)
	}{
		"read what was written":                 {porcupine.Ok, func(j *Journal) { write(j, "a", nil); read(j, "a") }},
		"a stale read":                          {porcupine.Illegal, func(j *Journal) { write(j, "a", nil); write(j, "b", nil); read(j, "a") }},
		"a stale list":                          {porcupine.Illegal, func(j *Journal) { write(j, "a", nil); write(j, "b", nil); listed(j, etagOfA) }},
		"a list of what is there":               {porcupine.Ok, func(j *Journal) { write(j, "a", nil); listed(j, etagOfA) }},
		"a list without what is there":          {porcupine.Illegal, func(j *Journal) { write(j, "a", nil); j.saw(list, 2, j.now(), map[string]string{"k": ""}) }},
		"an ETag that nobody wrote":             {porcupine.Illegal, func(j *Journal) { write(j, "a", nil); listed(j, etagOfPartsA) }},
		"an unknown write, seen later":          {porcupine.Ok, func(j *Journal) { write(j, "a", nil); write(j, "b", lost); read(j, "a"); read(j, "b") }},
		"an unknown write, seen and gone":       {porcupine.Illegal, func(j *Journal) { write(j, "a", nil); write(j, "b", lost); read(j, "b"); read(j, "a") }},
		"a creation of what is there":           {porcupine.Illegal, func(j *Journal) { write(j, "a", nil); only(j, "", "b", nil) }},
		"a creation, refused":                   {porcupine.Ok, func(j *Journal) { write(j, "a", nil); only(j, "", "b", unmet); read(j, "a") }},
		"a creation, refused where nothing was": {porcupine.Illegal, func(j *Journal) { only(j, "", "b", unmet) }},
		"a refused creation that was made":      {porcupine.Illegal, func(j *Journal) { write(j, "a", nil); only(j, "", "b", unmet); read(j, "b") }},
		"a replacement":                         {porcupine.Ok, func(j *Journal) { write(j, "a", nil); only(j, "a", "b", nil); read(j, "b") }},
		"a replacement of something else":       {porcupine.Illegal, func(j *Journal) { write(j, "a", nil); write(j, "c", nil); only(j, "a", "b", nil) }},
		"two replacements of the same":          {porcupine.Illegal, func(j *Journal) { write(j, "a", nil); only(j, "a", "b", nil); only(j, "a", "c", nil) }},
		"a replacement of what is gone":         {porcupine.Ok, func(j *Journal) { write(j, "a", nil); write(j, "", nil); only(j, "a", "b", noKey); read(j, "") }},
		"an unknown replacement, made":          {porcupine.Ok, func(j *Journal) { write(j, "a", nil); only(j, "a", "b", lost); read(j, "a"); read(j, "b") }},
		"an unknown replacement of another": {porcupine.Illegal, func(j *Journal) {
			write(j, "a", nil)
			write(j, "c", nil)
			only(j, "a", "b", lost)
			read(j, "b")
		}},
		"a write that nobody took": {porcupine.Illegal, func(j *Journal) {
			write(j, "b", fmt.Errorf("dialing: %w", syscall.ECONNREFUSED))
			read(j, "b")
		}},
	} {
		t.Run(name, func(t *testing.T) {
			j := NewJournal()
			c.do(j)
			if got, _ := j.judge(); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}
