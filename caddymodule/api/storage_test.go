package api_test

import (
	"bytes"
	"context"
	"image"
	"image/color"
	_ "image/jpeg"
	"image/png"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"

	"mana.how/edge/caddymodule/api"
	"mana.how/edge/caddymodule/api/storage"
	"mana.how/edge/internal/avatar"
	"mana.how/edge/internal/objectstore"
)

// gallery is a site with a directory for pictures.
func gallery(t *testing.T) *site {
	t.Helper()
	disk, err := objectstore.NewDisk(t.TempDir(), base+"/files")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = disk.Close() })
	return newSite(t, func(_ *api.Config, d *api.Deps) {
		find := d.Credits
		d.Credits = func(ctx context.Context) (*api.Credits, error) {
			c, err := find(ctx)
			if err == nil {
				c.Pictures = storage.Store{Objects: disk, Encoder: avatar.NewReencoder(1)}
			}
			return c, err
		}
	})
}

// painted is a PNG, see-through or not.
func painted(t *testing.T, alpha uint8) []byte {
	t.Helper()
	picture := image.NewNRGBA(image.Rect(0, 0, 40, 20))
	for i := range picture.Pix {
		picture.Pix[i] = 255
	}
	picture.Set(3, 3, color.NRGBA{A: alpha})
	var out bytes.Buffer
	if err := png.Encode(&out, picture); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// asFile is a form with a file.
func asFile(t *testing.T, field, name string, content []byte) (body string, kind header) {
	t.Helper()
	var out bytes.Buffer
	form := multipart.NewWriter(&out)
	_ = form.WriteField("note", "before the file")
	part, err := form.CreateFormFile(field, name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := part.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := form.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String(), func(h http.Header) { h.Set("Content-Type", form.FormDataContentType()) }
}

func TestUploadOfAPicture(t *testing.T) {
	t.Parallel()
	s := gallery(t)
	id, token := s.member("ada@example.test")
	for name, ext := range map[string]string{"me.JPEG": "jpg", "me.png": "png", "me.webp": "png", "me.gif": "png"} {
		asked := s.send("POST", "/api/v1/storage/avatar/upload-url", map[string]any{"filename": name}, token).status(201)
		key, upload := asked.text("key"), asked.text("uploadUrl")
		if asked.object()["expiresIn"] != 3600.0 || !strings.HasPrefix(key, "avatars/"+id+"/") || !strings.HasSuffix(key, "."+ext) ||
			asked.text("fileUrl") != base+"/files/"+key || !strings.HasPrefix(upload, base+"/api/v1/storage/upload/") {
			t.Errorf("%s: %s", name, asked.body)
		}
		path := strings.TrimPrefix(upload, base)
		s.send("GET", "/files/"+key, nil).status(404)
		if broken := s.send("PUT", path, "no picture", with("Origin", app)).status(400); broken.text("code") != "INVALID_FILE_TYPE" {
			t.Errorf("no picture: %s", broken.body)
		}
		stored := s.send("PUT", path, string(painted(t, 0)), with("Origin", app)).status(200)
		if stored.text("url") != asked.text("fileUrl") || stored.header.Get("Access-Control-Allow-Origin") != app {
			t.Errorf("stored: %s %v", stored.body, stored.header)
		}
		if again := s.send("PUT", path, string(painted(t, 0))).status(401); again.text("code") != "INVALID_UPLOAD" {
			t.Errorf("twice: %s", again.body)
		}
		shown := s.send("GET", "/files/"+key, nil).status(200)
		h := shown.header
		wantType := map[string]string{"jpg": "image/jpeg", "png": "image/png"}[ext]
		if h.Get("Content-Type") != wantType || h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Cache-Control") != objectstore.CacheControl ||
			h.Get("Cross-Origin-Resource-Policy") != "cross-origin" || !strings.Contains(h.Get("Content-Security-Policy"), "sandbox") {
			t.Errorf("shown: %v", h)
		}
		if _, format, err := image.Decode(strings.NewReader(shown.body)); err != nil || "image/"+format != wantType {
			t.Errorf("%s is a %s, %v", key, format, err)
		}
	}
	// The client puts it into the profile then.
	body, kind := asFile(t, "file", "x.png", painted(t, 255))
	made := s.send("POST", "/api/v1/storage/avatar", body, token, kind).status(201)
	if !strings.HasSuffix(made.text("key"), ".jpg") || made.text("url") != base+"/files/"+made.text("key") {
		t.Errorf("made: %s", made.body)
	}
	if got := s.send("POST", "/api/v1/auth/profile", map[string]any{"image": made.text("url")}, token).status(200); !strings.Contains(got.body, made.text("url")) {
		t.Errorf("profile: %s", got.body)
	}
}

func TestBadPictures(t *testing.T) {
	t.Parallel()
	s := gallery(t)
	_, token := s.member("ada@example.test")
	for _, body := range []string{``, `{}`, `{"filename":""}`, `{"filename":5}`} {
		got := s.send("POST", "/api/v1/storage/avatar/upload-url", body, token)
		if body != `{"filename":5}` && (got.code != 400 || got.text("message") != "filename is required") {
			t.Errorf("%s: %s", body, got.body)
		}
	}
	for _, name := range []string{"x.svg", "x.html", "x", "png", "x.png.exe"} {
		s.send("POST", "/api/v1/storage/avatar/upload-url", map[string]any{"filename": name}, token).status(400).
			message("Invalid file type. Allowed: png, jpg, jpeg, gif, webp")
	}
	whole := painted(t, 255)
	for name, tt := range map[string]struct {
		content []byte
		status  int
		code    string
	}{
		"SVG":       {[]byte(`<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>`), 400, "INVALID_FILE_TYPE"},
		"HTML":      {[]byte(`<html><script>alert(1)</script>`), 400, "INVALID_FILE_TYPE"},
		"truncated": {whole[:len(whole)/2], 400, "BROKEN_PICTURE"},
		"empty":     {nil, 400, "INVALID_FILE_TYPE"},
		"too large": {bytes.Repeat([]byte{1}, avatar.MaxBytes+1), 413, "FILE_TOO_LARGE"},
	} {
		body, kind := asFile(t, "file", "x.png", tt.content)
		if got := s.send("POST", "/api/v1/storage/avatar", body, token, kind).status(tt.status); got.text("code") != tt.code {
			t.Errorf("%s: %s", name, got.body)
		}
	}
	// What is behind the picture, in one file, is not kept.
	polyglot, kind := asFile(t, "file", "x.png", append(whole, []byte(`<script>alert(1)</script>`)...))
	made := s.send("POST", "/api/v1/storage/avatar", polyglot, token, kind).status(201)
	if shown := s.send("GET", strings.TrimPrefix(made.text("url"), base), nil).status(200); strings.Contains(shown.body, "script") {
		t.Error("the script is served")
	}
	body, kind := asFile(t, "other", "x.png", whole)
	s.send("POST", "/api/v1/storage/avatar", body, token, kind).status(400).message("No file uploaded")
	s.send("POST", "/api/v1/storage/avatar", `{}`, token).status(400).message("No file uploaded")
	s.send("POST", "/api/v1/storage/avatar", body, kind).status(401)
	s.send("PUT", "/api/v1/storage/upload/nonsense", string(whole)).status(401)
	for _, path := range []string{"/files/avatars/x/..%2f..%2fy.png", "/files/avatars/x/.hidden", "/files/avatars/x/y.png"} {
		if got := s.send("GET", path, nil); got.code != 404 && got.code != 400 {
			t.Errorf("%s: %d", path, got.code)
		}
	}
	// Without a place for pictures.
	none := newSite(t)
	_, token = none.member("ada@example.test")
	none.send("POST", "/api/v1/storage/avatar/upload-url", map[string]any{"filename": "x.png"}, token).status(400).message("Storage service is not configured")
}
