# Profile-guided optimisation, for GCC: FASTERAPI_PROFILE_GENERATE builds a module that writes what it
# did into that folder when the process ends, FASTERAPI_PROFILE_USE builds by what is there. Both
# builds must lie in the same build folder: a profile is found by its object's path.
# scripts/wheel does both, with scripts/train.py between them.
set(FASTERAPI_PROFILE_GENERATE "" CACHE PATH "Write a profile into this folder")
set(FASTERAPI_PROFILE_USE "" CACHE PATH "Optimise by the profile in this folder")

if(FASTERAPI_PROFILE_GENERATE AND FASTERAPI_PROFILE_USE)
  message(FATAL_ERROR "Either FASTERAPI_PROFILE_GENERATE or FASTERAPI_PROFILE_USE")
endif()
if(FASTERAPI_PROFILE_GENERATE)
  add_compile_options(-fprofile-generate -fprofile-dir=${FASTERAPI_PROFILE_GENERATE})
  add_link_options(-fprofile-generate)
elseif(FASTERAPI_PROFILE_USE)
  # What the training has not done is optimised as if there were no profile, not for size.
  add_compile_options(-fprofile-use -fprofile-partial-training -fprofile-dir=${FASTERAPI_PROFILE_USE}
                      -Wno-missing-profile)
endif()
