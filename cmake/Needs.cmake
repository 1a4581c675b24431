# Parts of the build that need something which may be missing: what they need is named, and what is missing is said.
# A need is a pkg-config module, "bpf" for clang and bpftool, or "plugin:" and a pkg-config module that only the room's
# folder plugin/ needs: it becomes a shared module beside _core, which is loaded when it is first used.
option(WIREPATH_PLUGINS "Build what is loaded only when it is used: bound to this system's libraries" ON)

# wirepath_unmet_needs(NEEDS RESULT): why it cannot be built; empty if it can.
function(wirepath_unmet_needs needs result)
  set(${result} "" PARENT_SCOPE)
  foreach(need IN LISTS needs)
    if(need STREQUAL "bpf")
      if(NOT WIREPATH_HAVE_bpf)
        set(${result} "clang and bpftool were not found" PARENT_SCOPE)
      endif()
    else()
      string(REGEX REPLACE "^plugin:" "" module ${need})
      pkg_check_modules(${module} QUIET IMPORTED_TARGET ${module})
      if(NOT ${module}_FOUND)
        set(${result} "${module} was not found" PARENT_SCOPE)
      elseif(NOT module STREQUAL need AND NOT WIREPATH_PLUGINS)
        set(${result} "it is bound to one version of ${module}: build Wirepath from source, with ${module} installed"
          PARENT_SCOPE)
      endif()
    endif()
  endforeach()
endfunction()

# wirepath_add_room(TARGET PLACE NEEDS): builds PLACE.cpp, or all that is in the folder PLACE, BPF programs included.
function(wirepath_add_room target place needs)
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${place}/*.cpp)
  list(FILTER sources EXCLUDE REGEX "/plugin/")
  if(EXISTS ${place}.cpp)
    list(APPEND sources ${place}.cpp)
  endif()
  if(NOT sources)
    message(FATAL_ERROR "nothing to build at ${place}")
  endif()
  target_sources(${target} PRIVATE ${sources})
  file(GLOB_RECURSE programs CONFIGURE_DEPENDS ${place}/*.bpf.c)
  foreach(program IN LISTS programs)
    wirepath_bpf_skeleton(${target} ${program})
  endforeach()
  foreach(need IN LISTS needs)
    if(need STREQUAL "libpcap") # loaded at run time: its soname differs between distributions
      target_include_directories(${target} PRIVATE ${libpcap_INCLUDE_DIRS})
    elseif(need MATCHES "^plugin:(.*)")
      wirepath_add_plugin(${target} ${place} ${CMAKE_MATCH_1})
    elseif(NOT need STREQUAL "bpf")
      target_link_libraries(${target} PRIVATE PkgConfig::${need})
    endif()
  endforeach()
endfunction()

# wirepath_add_plugin(TARGET PLACE MODULE): PLACE/plugin/ as the shared module _STEM, linked with MODULE. It has a copy of
# its own of what it uses of TARGET, and exports one symbol (core/plugin.hpp).
function(wirepath_add_plugin target place module)
  get_filename_component(stem ${place} NAME)
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${place}/plugin/*.cpp)
  add_library(_${stem} MODULE ${sources})
  set_target_properties(_${stem} PROPERTIES PREFIX "")
  target_compile_options(_${stem} PRIVATE -Wall -Wextra -Wpedantic -O3)
  target_link_libraries(_${stem} PRIVATE ${target} PkgConfig::${module})
  install(TARGETS _${stem} LIBRARY DESTINATION wirepath COMPONENT module)
endfunction()
