# Finds llhttp, at least the version asked for: the system's libllhttp where that is new enough,
# otherwise the source that the pinned PyPI sdist of httptools carries, fetched here by version
# and hash. Older ones are refused: they accept a bare CR or a bad chunk terminator
# (CVE-2023-30589, CVE-2024-27982, CVE-2025-23167).
#
# Defines the target Llhttp::llhttp and Llhttp_VERSION. LLHTTP_SDIST_DIR keeps what was fetched; the presets
# share one.
set(LLHTTP_SDIST "httptools==0.9.0")
set(LLHTTP_SDIST_HASH "sha256:d484ebb7e3a3f3597b0f645fbd1b85633674ca808c1f5ba11c2caf7c66f5c8b6")

set(LLHTTP_SDIST_DIR ${CMAKE_BINARY_DIR}/_llhttp CACHE PATH "Where the sdist with llhttp's source is kept")
mark_as_advanced(LLHTTP_SDIST_DIR)

function(_llhttp_version include_dir out)
  file(STRINGS ${include_dir}/llhttp.h lines REGEX "^#define LLHTTP_VERSION_(MAJOR|MINOR|PATCH) ")
  string(REGEX REPLACE "[^0-9;]" "" numbers "${lines}")
  list(JOIN numbers "." version)
  set(${out} ${version} PARENT_SCOPE)
endfunction()

# The folder of llhttp inside the sdist, downloaded once. pip runs the sdist's build backend to read its
# metadata; that backend may come as a wheel, only httptools itself may not.
function(_llhttp_from_sdist out)
  string(REPLACE "==" "-" name ${LLHTTP_SDIST})
  set(root ${LLHTTP_SDIST_DIR}/${name}/vendor/llhttp)
  if(NOT EXISTS ${root}/include/llhttp.h)
    set(requirements ${CMAKE_BINARY_DIR}/_llhttp_requirements.txt)
    file(WRITE ${requirements} "${LLHTTP_SDIST} --hash=${LLHTTP_SDIST_HASH}\n")
    message(STATUS "Fetching llhttp's source inside ${LLHTTP_SDIST}")
    execute_process(
      COMMAND ${Python3_EXECUTABLE} -m pip download --quiet --disable-pip-version-check --no-deps
              --no-binary httptools --require-hashes -r ${requirements} -d ${LLHTTP_SDIST_DIR}
      RESULT_VARIABLE failed ERROR_VARIABLE error)
    if(failed OR NOT EXISTS ${LLHTTP_SDIST_DIR}/${name}.tar.gz)
      message(FATAL_ERROR "No libllhttp >= ${Llhttp_FIND_VERSION} on this system, and "
                          "'pip download ${LLHTTP_SDIST}' failed:\n${error}")
    endif()
    file(ARCHIVE_EXTRACT INPUT ${LLHTTP_SDIST_DIR}/${name}.tar.gz DESTINATION ${LLHTTP_SDIST_DIR})
  endif()
  set(${out} ${root} PARENT_SCOPE)
endfunction()

find_path(LLHTTP_INCLUDE_DIR llhttp.h)
find_library(LLHTTP_LIBRARY llhttp)
mark_as_advanced(LLHTTP_INCLUDE_DIR LLHTTP_LIBRARY)
if(LLHTTP_INCLUDE_DIR AND LLHTTP_LIBRARY)
  _llhttp_version(${LLHTTP_INCLUDE_DIR} Llhttp_VERSION)
endif()

if(Llhttp_VERSION AND Llhttp_VERSION VERSION_GREATER_EQUAL Llhttp_FIND_VERSION)
  set(_llhttp_where ${LLHTTP_LIBRARY})
  if(NOT TARGET Llhttp::llhttp)
    add_library(Llhttp::llhttp UNKNOWN IMPORTED)
    set_target_properties(Llhttp::llhttp PROPERTIES
      IMPORTED_LOCATION ${LLHTTP_LIBRARY} INTERFACE_INCLUDE_DIRECTORIES ${LLHTTP_INCLUDE_DIR})
  endif()
else()
  _llhttp_from_sdist(_llhttp_where)
  _llhttp_version(${_llhttp_where}/include Llhttp_VERSION)
  if(NOT TARGET Llhttp::llhttp)
    add_library(llhttp_sdist STATIC ${_llhttp_where}/src/api.c ${_llhttp_where}/src/http.c ${_llhttp_where}/src/llhttp.c)
    target_include_directories(llhttp_sdist SYSTEM PUBLIC ${_llhttp_where}/include)
    add_library(Llhttp::llhttp ALIAS llhttp_sdist)
  endif()
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(Llhttp REQUIRED_VARS _llhttp_where VERSION_VAR Llhttp_VERSION)
