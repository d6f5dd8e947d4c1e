package backup

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// formatNew is FORMAT until all else is there and right.
const formatNew = formatFile + ".new"

// Restore makes a data folder of a backup. The folder must not exist, or be empty; its parent must exist. When Restore fails it leaves
// nothing; what a kill leaves has a store and no FORMAT, and no emulator starts from that. It restores whatever data is in the backup:
// the emulator that starts from it says whether it knows the data's version, and upgrades it.
//
// The files are written where they will be, rather than beside it and moved, because the folder may be where a volume is mounted.
func Restore(r io.Reader, dir string) (Manifest, error) {
	f, err := newFolder(dir)
	if err != nil {
		return Manifest{}, err
	}
	m, err := Read(r, f.put)
	if err == nil {
		err = f.finish()
	}
	if err != nil {
		return m, errors.Join(err, f.discard())
	}
	return m, f.root.Close()
}

// folder is a data folder in the making. Its root lets nothing out, links included.
type folder struct {
	dir  string
	root *os.Root
	made bool // by us, and goes again with what is in it
}

func newFolder(dir string) (*folder, error) {
	err := os.Mkdir(dir, 0o700)
	made := err == nil
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	if err := wantEmpty(dir); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	f := &folder{dir, root, made}
	// From here on the folder is nobody else's: an emulator refuses a store without FORMAT.
	if err := root.Mkdir(storeFolder, 0o700); err != nil {
		return nil, errors.Join(err, root.Close())
	}
	return f, nil
}

func wantEmpty(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	if len(entries) > 0 {
		return fmt.Errorf("%s is not empty: a backup is restored into a folder that is empty or does not exist, and never over an installation", dir)
	}
	return nil
}

func (f *folder) put(file File, content io.Reader) (err error) {
	name := file.Name
	if name == formatFile {
		name = formatNew
	}
	out, err := f.root.OpenFile(filepath.FromSlash(name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	if _, err := io.Copy(out, content); err != nil {
		return err
	}
	return out.Sync()
}

// finish makes it an installation, and durable.
func (f *folder) finish() error {
	for _, dir := range []string{storeFolder, "."} {
		if err := f.sync(dir); err != nil {
			return err
		}
	}
	if err := f.root.Rename(formatNew, formatFile); err != nil {
		return err
	}
	if err := f.sync("."); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(filepath.Clean(f.dir)))
}

func (f *folder) sync(name string) error {
	d, err := f.root.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// discard removes what was written, FORMAT first, so that at no time there is less than all under that name.
func (f *folder) discard() error {
	var problems []error
	for _, name := range []string{formatFile, formatNew, issuerFile, sealKeyFile, storeFolder} {
		problems = append(problems, f.root.RemoveAll(name))
	}
	problems = append(problems, f.root.Close())
	if f.made {
		problems = append(problems, os.Remove(f.dir))
	}
	return errors.Join(problems...)
}
