package risklake

import java.io.{File, FileNotFoundException, IOException}
import java.util.{Iterator => JavaIterator}

import scala.jdk.CollectionConverters._

import org.apache.hadoop.conf.Configuration
import org.apache.hadoop.fs.{FileStatus, Path}

/** Delta's store for logs on local disks, which lists a log by names first.
  *
  * Delta asks for the files from one version on, and Hadoop would ask the disk about each file of the log, several
  * times, before the names are looked at: with an hour of micro-batches in the log, most of what a micro-batch costs.
  * Writing and reading are those of `LocalLogStore`. `make setup` compiles this with the compiler among Spark's jars.
  */
class NamesFirstLogStore(configuration: Configuration) extends io.delta.storage.LocalLogStore(configuration) {

  /** Files and folders beside `path` whose names are not before its own, by name. */
  override def listFrom(path: Path, hadoop: Configuration): JavaIterator[FileStatus] = {
    val fileSystem = path.getFileSystem(hadoop)
    val folder = fileSystem.makeQualified(path.getParent)
    val names = namesIn(folder).filter(name => name >= path.getName && !isChecksumOfHadoop(name)).sorted
    // Expired files may be deleted by another program between the two looks.
    names.iterator.flatMap(name => statusIfThere(fileSystem.getFileStatus(new Path(folder, name)))).asJava
  }

  private def namesIn(folder: Path): Array[String] = {
    val place = new File(folder.toUri.getPath)
    val names = place.list()
    if (names != null) names
    else if (!place.exists()) throw new FileNotFoundException(s"No such file or directory: $folder")
    else throw new IOException(s"The names in $folder cannot be read")
  }

  private def isChecksumOfHadoop(name: String): Boolean = name.startsWith(".") && name.endsWith(".crc")

  private def statusIfThere(ask: => FileStatus): Option[FileStatus] =
    try Some(ask)
    catch { case _: FileNotFoundException => None }
}
