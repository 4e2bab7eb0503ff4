// The `fasterapi` executable: CPython embedded, the rooms of server/ and asgi/ linked in.
// Finds the virtual environment, tells CPython where its library lies, puts the package installed
// beside the executable first on sys.path, and runs fasterapi.cli.main() as the wheel's console
// script does: one CLI serves both.
//
// sys.executable is a real python (the environment's, else the embedded one's), because children
// are started with it: they find the package by the sys.path that multiprocessing hands on.
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

#include "asgi/python.h"

PyMODINIT_FUNC PyInit__native(void);

namespace fasterapi::asgi {
namespace {

namespace fs = std::filesystem;

// Start-up faults end with 3, as in the CLI.
constexpr int kStartFailed = 3;

// importlib's BuiltinImporter declines names inside a package, so a finder of our own hands it this one.
// A child of multiprocessing gets our sys.path, so it must be a python of the same standard library;
// an environment made by another build of the same version has not got one.
constexpr const char* kPrepare = R"(
import os, sys
from importlib.machinery import BuiltinImporter, ModuleSpec

class LinkedIn:
    @staticmethod
    def find_spec(name, path=None, target=None):
        return ModuleSpec(name, BuiltinImporter, origin="built-in") if name == "fasterapi._native" else None

sys.meta_path.insert(0, LinkedIn)
sys.path.insert(0, home)
sys.path.append(home + "/vendor")
if os.path.exists(python) and os.path.realpath(python) != os.path.realpath(sys.executable):
    import multiprocessing.spawn
    multiprocessing.spawn.set_executable(python)
)";

constexpr const wchar_t* kRun = L"from fasterapi.cli import main\nraise SystemExit(main())\n";

struct Venv {
  fs::path prefix;
  std::string version;  // "3.11", or empty where pyvenv.cfg does not tell
};

std::string trimmed(const std::string& text) {
  const auto first = text.find_first_not_of(" \t\r");
  if (first == std::string::npos) return "";
  return text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
}

// The venv module writes "version = 3.11.7", virtualenv and uv "version_info = 3.11.7…".
std::optional<Venv> read_venv(const fs::path& prefix) {
  std::ifstream file(prefix / "pyvenv.cfg");
  if (!file) return std::nullopt;
  Venv venv{prefix, ""};
  for (std::string line; std::getline(file, line);) {
    const auto equals = line.find('=');
    if (equals == std::string::npos) continue;
    const std::string key = trimmed(line.substr(0, equals));
    if (key != "version" && key != "version_info") continue;
    const std::string value = trimmed(line.substr(equals + 1));
    const auto minor = value.find('.');
    if (minor != std::string::npos) venv.version = value.substr(0, value.find('.', minor + 1));
  }
  return venv;
}

// The environment that the executable was installed into, else the one that is active.
std::optional<Venv> find_venv(const fs::path& executable) {
  if (auto own = read_venv(executable.parent_path().parent_path())) return own;
  const char* active = std::getenv("VIRTUAL_ENV");
  if (active == nullptr || *active == '\0') return std::nullopt;
  auto venv = read_venv(active);
  if (!venv) std::fprintf(stderr, "fasterapi: VIRTUAL_ENV is ignored, no environment is there: %s\n", active);
  return venv;
}

// `executable` is what sys.executable shall be. CPython derives the environment's packages from the
// pyvenv.cfg near it; the standard library must be that of the libpython we carry, and not that of
// the environment's base, which may be another build of the same version.
PyStatus configure(PyConfig& config, const fs::path& self, const std::string& executable, int argc,
                   char** argv) {
  std::string program = self.string();
  argv[0] = program.data();
  const bool home_given = std::getenv("PYTHONHOME") != nullptr;
  const std::pair<wchar_t**, const char*> settings[] = {
    {&config.program_name, executable.c_str()},
    {&config.executable, executable.c_str()},
#if PY_VERSION_HEX >= 0x030B0000
    {home_given ? nullptr : &config.prefix, FASTERAPI_BASE_PREFIX},
    {home_given ? nullptr : &config.exec_prefix, FASTERAPI_BASE_EXEC_PREFIX},
#else
    // 3.10 searches from `home` only.
    {home_given ? nullptr : &config.home, FASTERAPI_BASE_PREFIX ":" FASTERAPI_BASE_EXEC_PREFIX},
#endif
  };
  for (const auto& [field, value] : settings) {
    if (field == nullptr) continue;
    const PyStatus status = PyConfig_SetBytesString(&config, field, value);
    if (PyStatus_Exception(status)) return status;
  }
  const PyStatus status = PyConfig_SetBytesArgv(&config, argc, argv);
  if (PyStatus_Exception(status)) return status;
  return PyConfig_SetString(&config, &config.run_command, kRun);
}

// Makes fasterapi._native and the package's folder known to the initialised interpreter.
bool prepare(const fs::path& home) {
  const Ref globals = Ref::steal(PyDict_New());
  if (!globals) return false;
  const std::pair<const char*, const char*> paths[] = {{"home", home.c_str()},
                                                       {"python", FASTERAPI_BASE_EXECUTABLE}};
  for (const auto& [name, path] : paths) {
    const Ref value = Ref::steal(PyUnicode_DecodeFSDefault(path));
    if (!value || PyDict_SetItemString(globals.get(), name, value.get()) < 0) return false;
  }
  return bool(Ref::steal(PyRun_String(kPrepare, Py_file_input, globals.get(), globals.get())));
}

int run(int argc, char** argv) {
  std::error_code error;
  const fs::path self = fs::read_symlink("/proc/self/exe", error);
  const fs::path home = self.parent_path().parent_path() / "lib" / "fasterapi";
  if (error || !fs::exists(home / "fasterapi", error)) {
    std::fprintf(stderr, "fasterapi: not installed completely (cmake --install): there is no %s\n",
                 home.c_str());
    return kStartFailed;
  }

  const auto venv = find_venv(self);
  const std::string embedded = std::to_string(PY_MAJOR_VERSION) + "." + std::to_string(PY_MINOR_VERSION);
  if (venv && !venv->version.empty() && venv->version != embedded) {
    std::fprintf(stderr,
                 "fasterapi: the virtual environment %s is of Python %s; this executable embeds Python %s\n",
                 venv->prefix.c_str(), venv->version.c_str(), embedded.c_str());
    return kStartFailed;
  }

  if (PyImport_AppendInittab("fasterapi._native", &PyInit__native) != 0) return kStartFailed;
  PyConfig config;
  PyConfig_InitPythonConfig(&config);
  config.parse_argv = 0;
  const std::string python = venv ? (venv->prefix / "bin" / "python").string() : FASTERAPI_BASE_EXECUTABLE;
  PyStatus status = configure(config, self, python, argc, argv);
  if (!PyStatus_Exception(status)) status = Py_InitializeFromConfig(&config);
  PyConfig_Clear(&config);
  if (PyStatus_Exception(status)) {
    std::fprintf(stderr, "fasterapi: Python did not start: %s\n", status.err_msg ? status.err_msg : "");
    return kStartFailed;
  }
  if (!prepare(home)) {
    PyErr_Print();
    return kStartFailed;
  }
  return Py_RunMain();
}

}  // namespace
}  // namespace fasterapi::asgi

int main(int argc, char** argv) { return fasterapi::asgi::run(argc, argv); }
