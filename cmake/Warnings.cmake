# -Werror is for those who develop (the presets set FASTERAPI_WERROR), never for users who build.
option(FASTERAPI_WERROR "Treat warnings as errors" OFF)
add_library(fasterapi_warnings INTERFACE)
target_compile_options(fasterapi_warnings INTERFACE -Wall -Wextra -Wshadow -Wnon-virtual-dtor)
if(FASTERAPI_WERROR)
  target_compile_options(fasterapi_warnings INTERFACE -Werror)
endif()
