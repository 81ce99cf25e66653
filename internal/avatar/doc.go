// Package avatar makes a picture that a user uploads safe to publish.
//
// Uploads are hostile until shown otherwise: scripts in SVG, files that are a
// picture and a web page at once, headers that claim a picture of many
// gigabytes, coordinates of the user's home in EXIF. Therefore nothing of the
// upload is published but its pixels. [Reencode] goes by the content, never by
// a name or a declared type; it reads the dimensions before anything is
// decoded, decodes, turns the picture as EXIF says, scales it to fit [Side] and
// writes a new JPEG or PNG. Metadata, colour profiles (the picture is taken for
// sRGB), further frames and whatever stands behind the picture are dropped.
//
// # Memory
//
// Files are small and pictures are not, so what decoding takes is reckoned from
// the header and bounded: at most [MaxPixels] pixels of eight bytes, 320 MB.
// What comes near: 40 megapixels of a PNG with 16 bits a channel (320 MB), of a
// progressive JPEG with 4:2:0 chroma, whose coefficients are kept until its end
// (300 MB), or of a lossless WebP (at most 320 MB). A photo of 12 megapixels
// takes 18 MB, a progressive one 90 MB. Scaling takes 20 MB at most. A
// [Reencoder] decodes at most as many pictures at once as it is told; those who
// wait hold their upload, at most [MaxBytes].
//
// # Time
//
// A few bytes may stand for 40 megapixels: some seconds of a processor. A context
// with a deadline ends that early, and callers should limit how often a user may
// upload. JPEGs of more scans than encoders make are refused, for they could
// take an hour.
package avatar
