package avatar

import "image"

// Average is average.
func Average(picture image.Image, k int) *image.RGBA { return average(picture, k) }

// MemoryOfJPEG is what decoding is reckoned to take.
func MemoryOfJPEG(data []byte, w, h int) int64 { return readJPEG(data).memory(w, h) }

// Hold takes a slot of the Reencoder until release.
func (e *Reencoder) Hold() (release func()) {
	e.slots <- struct{}{}
	return func() { <-e.slots }
}
