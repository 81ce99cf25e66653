// Package storage has the routes of pictures that users show: to upload one, and
// to see it where it lies on this machine.
package storage

import (
	"context"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"slices"
	"strconv"
	"time"

	"mana.how/edge/authcore"
	"mana.how/edge/authcore/challenge"
	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/internal/avatar"
	"mana.how/edge/internal/objectstore"
)

// Store is where pictures lie, and who makes them fit to be shown. Objects is nil
// where there is no place for them.
type Store struct {
	Objects objectstore.Store
	Encoder *avatar.Reencoder
}

// encodeTime bounds what one upload may cost, its waiting and its sending included.
const encodeTime = 30 * time.Second

// encode makes an upload fit to be shown.
func (s Store) encode(ctx context.Context, upload io.Reader) (avatar.Image, error) {
	ctx, cancel := context.WithTimeout(ctx, encodeTime)
	defer cancel()
	picture, err := s.Encoder.Reencode(ctx, upload)
	if errors.Is(err, context.DeadlineExceeded) {
		err = errSlow
	}
	return picture, err
}

// uploadLimit is for those who bring a picture.
var uploadLimit = endpoint.PerMinute(20)

// What is wrong with an upload.
var (
	errNoStorage  = &endpoint.Error{Status: 400, Code: "NO_STORAGE", Message: "Storage service is not configured"}
	errNoFilename = &endpoint.Error{Status: 400, Code: "NO_FILENAME", Message: "filename is required"}
	errNoFile     = &endpoint.Error{Status: 400, Code: "NO_FILE", Message: "No file uploaded"}
	errType       = &endpoint.Error{Status: 400, Code: "INVALID_FILE_TYPE", Message: "Invalid file type. Allowed: png, jpg, jpeg, gif, webp"}
	errPixels     = &endpoint.Error{Status: 400, Code: "TOO_MANY_PIXELS", Message: "The picture has too many pixels"}
	errBroken     = &endpoint.Error{Status: 400, Code: "BROKEN_PICTURE", Message: "The picture is damaged or incomplete"}
	errTooLarge   = &endpoint.Error{Status: 413, Code: "FILE_TOO_LARGE", Message: "File too large. Maximum size: 5MB"}
	errSlow       = &endpoint.Error{Status: 408, Code: "UPLOAD_TIMEOUT", Message: "The upload, or reading the picture, took too long"}
	errUpload     = &endpoint.Error{Status: 401, Code: "INVALID_UPLOAD", Message: "This upload is not valid any more"}
	errNotFound   = &endpoint.Error{Status: 404, Code: "NOT_FOUND", Message: "No such file"}
)

var mappings = []endpoint.Mapping{
	{Err: avatar.ErrType, Answer: errType}, {Err: avatar.ErrTooLarge, Answer: errTooLarge}, {Err: avatar.ErrTooManyPixels, Answer: errPixels},
	{Err: avatar.ErrBroken, Answer: errBroken}, {Err: challenge.ErrUnknown, Answer: errUpload}, {Err: challenge.ErrExpired, Answer: errUpload},
	{Err: objectstore.ErrNotFound, Answer: errNotFound}, {Err: objectstore.ErrKey, Answer: errNotFound},
}

// refusals are the answers to who brings a picture.
var refusals = []*endpoint.Error{errNoStorage, errType, errPixels, errBroken, errTooLarge, errSlow}

// Pictures are those of users, in the live store.
type Pictures struct {
	store func(context.Context) (Store, error)
}

// New are the pictures of the store that is live when one is asked for.
func New(store func(context.Context) (Store, error)) Pictures { return Pictures{store} }

// Routes are those of pictures.
func (r Pictures) Routes() []endpoint.Route {
	const at = "/api/v1/storage"
	return []endpoint.Route{
		endpoint.Post(at+"/avatar/upload-url", endpoint.Handle(r.uploadURL), endpoint.Rule{Summary: "Where to upload a picture", Status: http.StatusCreated,
			Access: endpoint.User, Body: endpoint.Lenient, Limit: uploadLimit, Mappings: mappings,
			Errors: append(endpoint.AnswersTo(authcore.ErrUserNotFound), errNoStorage, errNoFilename, errType)}),
		endpoint.Post(at+"/avatar", endpoint.Handle(r.form), endpoint.Rule{Summary: "Upload a picture, as the field file of a form", Status: http.StatusCreated,
			Access: endpoint.User, Body: endpoint.Stream, Limit: uploadLimit, Mappings: mappings, Errors: Refusals()}),
		endpoint.Put(at+"/upload/{token}", endpoint.Handle(r.upload), endpoint.Rule{Summary: "Upload a picture, as the body",
			Access: endpoint.Anyone, Body: endpoint.Stream, Limit: uploadLimit, Mappings: mappings, Errors: slices.Concat(refusals, []*endpoint.Error{errUpload})}),
		endpoint.Get("/files/avatars/{user}/{name}", endpoint.Handle(r.file), endpoint.Rule{Summary: "A picture", Access: endpoint.Anyone,
			Limit: endpoint.BackEndLimit, Media: "image/*", Mappings: mappings, Errors: []*endpoint.Error{errNotFound}}),
	}
}

// open is the store, if there is one.
func (r Pictures) open(ctx context.Context) (Store, error) {
	s, err := r.store(ctx)
	if err == nil && s.Objects == nil {
		err = errNoStorage
	}
	return s, err
}

type uploadURLRequest struct {
	Filename string `json:"filename" rule:"string"`
}

type uploadURLResponse struct {
	UploadURL string `json:"uploadUrl"`
	FileURL   string `json:"fileUrl"`
	Key       string `json:"key"`
	ExpiresIn int64  `json:"expiresIn"` // seconds
}

// uploadURL leads to this service, whatever the store: what is stored was encoded
// anew.
func (r Pictures) uploadURL(ctx context.Context, c *endpoint.Call, req uploadURLRequest) (uploadURLResponse, error) {
	store, err := r.open(ctx)
	switch {
	case err != nil:
		return uploadURLResponse{}, err
	case c.BodyErr != nil:
		return uploadURLResponse{}, c.BodyErr
	case req.Filename == "" || len(c.FieldErrors) > 0:
		return uploadURLResponse{}, errNoFilename
	}
	ext, ok := avatar.AllowedExt(req.Filename)
	if !ok {
		return uploadURLResponse{}, errType
	}
	key := keyOf(c, avatar.PublishedExt(ext))
	token, err := c.Auth.NewUpload(ctx, c.Caller, key)
	if err != nil {
		return uploadURLResponse{}, err
	}
	return uploadURLResponse{
		UploadURL: c.BaseURL().String() + "/api/v1/storage/upload/" + token, FileURL: store.Objects.URL(key), Key: key,
		ExpiresIn: int64(authcore.UploadTTL.Seconds()),
	}, nil
}

// keyOf is where a picture of the caller lies: each at a place of its own, so that
// it may be cached for ever.
func keyOf(c *endpoint.Call, ext string) string {
	return "avatars/" + c.UserID + "/" + strconv.FormatInt(c.Now().UnixMilli(), 10) + "." + ext
}

type storedResponse struct {
	URL string `json:"url"`
	Key string `json:"key"`
}

// form takes the picture of a form.
func (r Pictures) form(ctx context.Context, c *endpoint.Call, _ endpoint.None) (storedResponse, error) {
	return r.take(ctx, c)
}

func (r Pictures) take(ctx context.Context, c *endpoint.Call) (storedResponse, error) {
	store, err := r.open(ctx)
	if err != nil {
		return storedResponse{}, err
	}
	file, err := fileOf(c.Request)
	if err != nil {
		return storedResponse{}, err
	}
	picture, err := store.encode(ctx, file)
	if err != nil {
		return storedResponse{}, err
	}
	key := keyOf(c, picture.Ext)
	return storedResponse{store.Objects.URL(key), key}, store.Objects.Put(ctx, key, picture.ContentType, picture.Bytes)
}

// formOverhead is what a form may have beside its file, in bytes.
const formOverhead = 64 << 10

// fileOf is the field file of a form.
func fileOf(r *http.Request) (io.Reader, error) {
	media, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != "multipart/form-data" || params["boundary"] == "" {
		return nil, errNoFile
	}
	if r.ContentLength > avatar.MaxBytes+formOverhead {
		return nil, errTooLarge
	}
	form := multipart.NewReader(io.LimitReader(r.Body, avatar.MaxBytes+formOverhead), params["boundary"])
	for {
		part, err := form.NextPart()
		switch {
		case errors.Is(err, io.EOF):
			return nil, errNoFile
		case err != nil:
			return nil, errNoFile
		case part.FormName() == "file" && part.FileName() != "":
			return part, nil
		}
	}
}

type uploadRequest struct {
	Token string `path:"token" rule:"max=128,string"`
}

// upload takes the picture of who has a token for it. The token is good until it
// was one.
func (r Pictures) upload(ctx context.Context, c *endpoint.Call, req uploadRequest) (storedResponse, error) {
	store, err := r.open(ctx)
	if err != nil {
		return storedResponse{}, err
	}
	key, err := c.Auth.UploadKey(ctx, req.Token)
	if err != nil {
		return storedResponse{}, err
	}
	if c.Request.ContentLength > avatar.MaxBytes {
		return storedResponse{}, errTooLarge
	}
	picture, err := store.encode(ctx, c.Request.Body)
	if err != nil {
		return storedResponse{}, err
	}
	if picture, err = picture.As(key); err != nil {
		return storedResponse{}, err
	}
	if _, err := c.Auth.TakeUpload(ctx, req.Token); err != nil {
		return storedResponse{}, err
	}
	return storedResponse{store.Objects.URL(key), key}, store.Objects.Put(ctx, key, picture.ContentType, picture.Bytes)
}

type fileRequest struct {
	User string `path:"user" rule:"max=64,string"`
	Name string `path:"name" rule:"max=64,string"`
}

// file shows a picture that lies on this machine. Nothing else than a picture can
// be in it, and no browser takes it for anything else.
func (r Pictures) file(ctx context.Context, c *endpoint.Call, req fileRequest) (endpoint.Document, error) {
	store, err := r.open(ctx)
	if errors.Is(err, errNoStorage) {
		err = errNotFound
	}
	if err != nil {
		return endpoint.Document{}, err
	}
	body, info, err := store.Objects.Get(ctx, "avatars/"+req.User+"/"+req.Name)
	if err != nil {
		return endpoint.Document{}, err
	}
	defer body.Close()
	content, err := io.ReadAll(body)
	if err != nil {
		return endpoint.Document{}, err
	}
	c.Header.Set("Content-Security-Policy", "default-src 'none'; sandbox")
	c.Header.Set("Cross-Origin-Resource-Policy", "cross-origin")
	return endpoint.Document{ContentType: info.ContentType, CacheControl: objectstore.CacheControl, Body: content}, nil
}
