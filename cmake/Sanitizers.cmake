# One switch for all targets: mixing sanitized and plain objects reports faults that are not there.
if(FASTERAPI_FUZZ AND NOT FASTERAPI_SANITIZE)
  set(FASTERAPI_SANITIZE address,undefined,fuzzer-no-link)
endif()
if(FASTERAPI_SANITIZE)
  add_compile_options(-fsanitize=${FASTERAPI_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${FASTERAPI_SANITIZE})
endif()
