// mount and umount2 (uapi linux/mount.h), statfs types (linux/magic.h), memory devices.

export const MS_RDONLY = 1;
export const MS_NOSUID = 2;
export const MS_NODEV = 4;
export const MS_NOEXEC = 8;
export const MS_SYNCHRONOUS = 16;
export const MS_REMOUNT = 32;
export const MS_NOATIME = 1024;
export const MS_NODIRATIME = 2048;
export const MS_BIND = 4096;
export const MS_MOVE = 8192;
export const MS_REC = 16384;
export const MS_SILENT = 32768;
export const MS_PRIVATE = 1 << 18;
export const MS_SLAVE = 1 << 19;
export const MS_SHARED = 1 << 20;
export const MS_RELATIME = 1 << 21;

export const MNT_FORCE = 1;
export const MNT_DETACH = 2;
export const MNT_EXPIRE = 4;
export const UMOUNT_NOFOLLOW = 8;

/** f_type of statfs. */
export const TMPFS_MAGIC = 0x0102_1994;
export const PROC_SUPER_MAGIC = 0x9fa0;
export const SYSFS_MAGIC = 0x6265_6572;
export const PIPEFS_MAGIC = 0x5049_5045;
export const ANON_INODE_FS_MAGIC = 0x0904_1934;
export const V9FS_MAGIC = 0x0102_1997;

/** f_flags of statfs. */
export const ST_RDONLY = 1;
export const ST_NOSUID = 2;
export const ST_NOEXEC = 8;
export const ST_VALID = 0x20;
